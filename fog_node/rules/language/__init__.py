"""What the texts in rules mean: topics with named levels, templates, JMESPath. No I/O, no clock."""
