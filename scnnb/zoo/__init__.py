"""Other networks, one file each, with a function `build_NAME(image_shape, num_classes)`."""
