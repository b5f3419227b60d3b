"""amqtt's own broker inside a node's process, with amqtt's configuration and plugins.

`configuration` says what it is told, `engine` runs it; only who runs it loads amqtt.
"""
