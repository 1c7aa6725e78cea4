# The one binary and the production checklist. OpenSSL, for the Kafka client, is the runtime image's.
# Build: docker build -t probe .
ARG RUST_IMAGE=rust:1.88-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST_IMAGE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake g++ libssl-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src ./src
COPY benches ./benches
COPY tests ./tests
RUN cargo build --release --locked --bin probe

FROM ${RUNTIME_IMAGE}
COPY --from=build /src/target/release/probe /usr/local/bin/probe
COPY probes.toml /etc/probe/probes.toml
COPY checklist /etc/probe/checklist
USER 65532:65532
WORKDIR /etc/probe
ENTRYPOINT ["/usr/local/bin/probe"]
CMD ["--once"]
