"""Tables as people have them, read strictly: labels of photos, and what a shop keeps."""
