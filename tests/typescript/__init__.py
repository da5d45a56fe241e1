"""The TypeScript client and the examples for Node.js, by the tests that npm runs."""
