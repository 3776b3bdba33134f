module github.com/guregu/kami/bench/messaging

go 1.26.0

require (
	github.com/coder/websocket v1.8.15
	github.com/creachadair/jrpc2 v1.3.6
	github.com/gorilla/rpc v1.2.0
	github.com/guregu/kami v0.0.0
	github.com/guregu/kami/cluster v0.0.0
	github.com/guregu/kami/cluster/embed v0.0.0
	github.com/guregu/kami/peer v0.0.0
	github.com/nats-io/nats.go v1.55.0
	github.com/sourcegraph/jsonrpc2 v0.2.3
)

require (
	github.com/Masterminds/semver/v3 v3.5.0 // indirect
	github.com/antithesishq/antithesis-sdk-go v0.9.0-default-no-op // indirect
	github.com/creachadair/mds v0.31.0 // indirect
	github.com/google/go-tpm v0.9.8 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
	github.com/minio/highwayhash v1.0.4 // indirect
	github.com/nats-io/jwt/v2 v2.8.3 // indirect
	github.com/nats-io/nats-server/v2 v2.15.3 // indirect
	github.com/nats-io/nkeys v0.4.17 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/zenazn/goji v1.0.1 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/time v0.16.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/guregu/kami => ../../

replace github.com/guregu/kami/peer => ../../peer

replace github.com/guregu/kami/cluster => ../../cluster

replace github.com/guregu/kami/cluster/embed => ../../cluster/embed
