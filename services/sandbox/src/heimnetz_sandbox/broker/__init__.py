"""A plugin's only way to anything outside its container, by grant."""
