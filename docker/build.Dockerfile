# Compiles the workspace; the section images copy their programs from /out of the last stage, and what belongs to a
# program from /share. Dependencies are a separate layer, rebuilt only if a manifest or the lock file changes. Built by
# scripts/build_images.sh, with BuildKit or the classic builder.
ARG RUST_IMAGE

# The sources. Changes in docker/ and packaging/ do not invalidate the build.
FROM ${RUST_IMAGE} AS sources
WORKDIR /workspace
COPY . .
RUN rm -rf docker packaging

# The workspace as far as dependencies are concerned: its manifests and build scripts, and crates without content.
FROM sources AS manifests
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -name build.rs ! -path '*/src/lib.rs' ! -path '*/src/main.rs' \
        -delete \
    && find . -path '*/src/lib.rs' -exec truncate --size=0 {} + \
    && find . -path '*/src/main.rs' | while read -r main; do echo 'fn main() {}' >"$main"; done \
    && find . -type d -empty -delete

FROM ${RUST_IMAGE} AS dependencies
# PROFILE is release or dev; PACKAGES limits the build: `--package section2`.
ARG PROFILE=release
ARG PACKAGES="--workspace --exclude weir-cluster"
WORKDIR /workspace
COPY --from=manifests /workspace .
RUN cargo build --locked --profile "$PROFILE" $PACKAGES --bins

FROM dependencies AS build
ARG PROFILE=release
ARG PACKAGES="--workspace --exclude weir-cluster"
COPY --from=sources /workspace .
# Cargo compares modification times, and the sources are older than the build of the empty crates.
RUN find . -name '*.rs' ! -path './target/*' -exec touch {} + \
    && cargo build --locked --profile "$PROFILE" $PACKAGES --bins \
    && mkdir /out \
    && find target/*/ -maxdepth 1 -type f -perm -u+x -exec cp {} /out/ \; \
    && strip --strip-all /out/*

# Licences and bills of materials: they depend on the dependencies only.
FROM dependencies AS documents
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/*
COPY packaging /packaging
COPY LICENSE .
RUN sh /packaging/documents.sh /share section1 section2 section4 section5 weir

FROM scratch
COPY --from=build /out /out
COPY --from=documents /share /share
