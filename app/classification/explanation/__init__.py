"""The parts of an explanation: what is asked, what stood, what time will decide, the way on, the sentences."""
