# docker buildx bake --file deploy/docker-bake.hcl            builds all three
# docker buildx bake --file deploy/docker-bake.hcl --push production
# Run it in the repository's folder, after `make static`.

variable "REGISTRY" {
  default = ""
}

variable "TAG" {
  default = "latest"
}

variable "REVISION" {
  default = "unknown"
}

group "default" {
  targets = ["production", "emulator", "dev"]
}

target "common" {
  context    = "."
  dockerfile = "Dockerfile"
  platforms  = ["linux/amd64", "linux/arm64"]
  args = {
    REVISION = REVISION
  }
}

target "production" {
  inherits = ["common"]
  target   = "production"
  tags     = ["${REGISTRY}signalr-bridge:${TAG}"]
}

target "emulator" {
  inherits = ["common"]
  target   = "emulator"
  tags     = ["${REGISTRY}signalr-bridge-emulator:${TAG}"]
}

target "dev" {
  inherits = ["common"]
  target   = "dev"
  tags     = ["${REGISTRY}signalr-bridge-dev:${TAG}"]
}

target "sbom" {
  context    = "."
  dockerfile = "Dockerfile"
  target     = "sbom"
  output     = ["type=local,dest=dist"]
}
