"""The spawner's own process: python -I -S .../__main__.py TREE SOCKET DATA OPEN_FILES."""

import sys

if __name__ == "__main__":
    sys.path.append(sys.argv[1])
    from jobrun.runner.spawner import main

    main(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
