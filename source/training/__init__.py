"""How a model learns: losses, optimizers, schedules, the loop. Nothing is imported here: name the file you want."""
