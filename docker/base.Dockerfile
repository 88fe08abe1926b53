# Common base of all section images: an init process, an unprivileged user, and a password file for libpq. Built by
# scripts/build_images.sh from the Debian image pinned in docker/.env.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log \
    && groupadd --gid 10001 weir \
    && useradd --uid 10001 --gid weir --home-dir /srv/weir --create-home --skel /var/empty --shell /bin/sh weir

COPY docker/base/with-password /usr/local/lib/weir/
# Independent of the file modes in the checkout.
RUN chmod -R a+rX /usr/local/lib/weir

WORKDIR /srv/weir
