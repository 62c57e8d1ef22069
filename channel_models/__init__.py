"""The radio world as pure functions on arrays: where sites stand, what a link loses, what it carries."""
