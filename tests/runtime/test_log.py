"""The log of a process that runs several commands, as tests and notebooks do."""

from glo.runtime import log


def test_the_next_command_closes_the_file_of_the_one_before(tmp_path):
    log.setup()
    log.to_file(tmp_path / "log.txt")
    log.logger.info("first")
    stream = log.logger.handlers[-1].stream
    log.setup()
    log.logger.info("second")
    assert stream.closed
    assert "first" in (tmp_path / "log.txt").read_text()
    assert "second" not in (tmp_path / "log.txt").read_text()
