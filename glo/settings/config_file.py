"""The YAML of config files: one flat mapping from settings to values, read without YAML's surprises."""

from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

PLAIN = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:bool")


class _Loader(yaml.SafeLoader):
    """Refuses what a flat file does not need: anchors, aliases, tags, and duplicate keys, of which YAML keeps the last.

    Numbers and dates stay text, so that a file and a flag mean the same: YAML reads 010 as 8 and 1:30 as 90.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag in PLAIN]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event = self.peek_event()
        if getattr(event, "anchor", None) or getattr(event, "tag", None):  # the anchor of an alias is its name
            raise yaml.composer.ComposerError(None, None, "anchors, aliases and tags are not allowed", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, "a setting is given twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def load(text: str) -> Any:
    """The content of a YAML file, with numbers as text. Raises `ValueError` that names the line and the reason."""
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ValueError(f"line {mark.line + 1}: {error.problem}" if mark else error.problem) from None
    except yaml.reader.ReaderError as error:
        raise ValueError(error.reason) from None
    except RecursionError:
        raise ValueError("its lists are nested too deeply") from None
