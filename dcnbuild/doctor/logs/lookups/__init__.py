"""What rules/*.yaml ask of code: functions that take a Hit, or texts of it, and return a text or an object."""
