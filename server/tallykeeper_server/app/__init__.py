"""The composition root: builds the store, the engine and the services, and starts and stops them."""
