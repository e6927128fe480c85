"""Pictures as bytes: their format and size, base64 and `data:` URLs, Pillow images."""
