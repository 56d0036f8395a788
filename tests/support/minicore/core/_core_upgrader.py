"""Its presence says that a core is localized."""
