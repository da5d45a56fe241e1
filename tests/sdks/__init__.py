"""The SDKs in other languages, and the examples: `make sdks` runs their own tests, lints and programs."""
