"""A frozen generator at work: decoding, fitting, priors, nearest images, paths between codes, PSNR."""
