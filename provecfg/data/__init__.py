"""What is read from, or drawn into, a folder of images and label maps."""
