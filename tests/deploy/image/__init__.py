"""The image itself: Podman builds it from the Dockerfile and runs it. Only ``make image-check`` does so."""
