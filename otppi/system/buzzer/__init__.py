"""The buzzer and what makes it sound."""
