"""The demo: every use once, on images that come with the package."""
