"""The embedded broker beside stock amqtt and Mosquitto: rates, memory, and what a bad client does."""
