# What the images of all sections have in common: an init that reaps, a user that is nobody else, a password file for libpq.
# scripts/build_images.sh builds it, from the Debian image that docker/.env pins.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log \
    && groupadd --gid 10001 weir \
    && useradd --uid 10001 --gid weir --home-dir /srv/weir --create-home --skel /var/empty --shell /bin/sh weir

COPY docker/base/with-password /usr/local/lib/weir/
# Whatever rights the checkout has.
RUN chmod -R a+rX /usr/local/lib/weir

WORKDIR /srv/weir
