#!/usr/bin/python3
"""Write scikit-learn's handwritten digits as the CSV file that the C and CUDA trainers read.

    export_data.py digits.csv

One line per image: `train` or `validation`, its label, and 64 pixels from 0 to 16.  The split is
the one that train.py uses, so that all three trainers are measured on the same images.
"""

import os
import sys

import train


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: export_data.py FILE", file=sys.stderr)
        return 2
    path = sys.argv[1]
    pixels, labels, val_pixels, val_labels = train.load_data()
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="ascii") as file:
        for part, images, names in (("train", pixels, labels),
                                    ("validation", val_pixels, val_labels)):
            for image, name in zip(images, names):
                values = ",".join(str(int(pixel)) for pixel in image * 16)
                file.write(f"{part},{name},{values}\n")
    os.replace(temporary, path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
