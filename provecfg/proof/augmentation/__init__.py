"""What share of the training images the augmentations change, and what of them."""
