"""Training of the embedded models and of pairs with a planted truth."""
