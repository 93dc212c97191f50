"""Other networks, one file each, built like SCNNB: `build_NAME(image_shape, num_classes)`."""
