"""Who gets in and may do what: users, passwords, certificates and rules."""
