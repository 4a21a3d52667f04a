"""The bench of the image: builds a test image by the stage's own scripts, boots it in QEMU and drives it.

Nothing of the image is changed for the tests. What they need inside comes on a disk of its own (`toolbox`), the radio
and a root shell by words on the kernel's command line.
"""
