"""What pages are made of: sections, figures, thumbnails, and the template."""
