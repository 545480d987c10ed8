# The server as an image: python3 build.py image, or docker build. Three stages, and the last one takes its file from the
# second: there is no image of a file whose tests failed.
#
# For a release pin the base by its digest too: --build-arg BASE=docker.io/library/python:3.13-slim@sha256:...
ARG BASE=docker.io/library/python:3.13-slim

# 1. The file, and the tests of its parts. As a user without a home: tests that need more say so and are left out.
FROM ${BASE} AS built
COPY packaging/test-packages.txt /tmp/
RUN apt-get update \
 && apt-get install -y --no-install-recommends stress $(sed '/^#/d; s/^[^ ]* //' /tmp/test-packages.txt) \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --user-group tester \
 && install -d -o tester -g tester /src
USER tester
WORKDIR /src
COPY --chown=tester:tester . .
RUN python3 build.py build --this-machine
RUN python3 build.py test tests/unit

# 2. That file from outside: over its API, and end to end, on a machine that has more to do than CPUs; where one test has
# no meaning, as it compares times.
FROM built AS tested
RUN stress --quiet --cpu 2 --io 1 & load=$!; \
    python3 build.py test tests/api tests/e2e --deselect tests/e2e/test_file.py::test_warm_start_is_quick; code=$?; \
    kill $load; exit $code

# 3. The base and the file, for one user without rights and a data folder of its own.
FROM ${BASE}
ARG VERSION=unknown
LABEL org.opencontainers.image.title="jobrun" \
      org.opencontainers.image.description="Runs commands so that they outlive the connection and keep their limits" \
      org.opencontainers.image.version="${VERSION}"
RUN useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin jobrun \
 && install -d -o jobrun -g jobrun -m 0700 /var/lib/jobrun
COPY --from=tested --chown=root:root /src/dist/jobrun /usr/local/bin/jobrun
# By number, so that an orchestrator sees that it is not root.
USER 10001:10001
# Unpacks the file, once and here: a container with a read-only root starts from it.
RUN ["jobrun", "version"]
ENV JOBRUN_DATA_DIR=/var/lib/jobrun
VOLUME /var/lib/jobrun
EXPOSE 50443
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["jobrun", "server", "health"]
ENTRYPOINT ["jobrun"]
CMD ["server", "--listen", "0.0.0.0:50443"]
