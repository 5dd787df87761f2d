locals {
  # ["10.20.0.0/24", "10.20.1.0/24", …]
  blocks = provider::sluice::cidr_shards("10.20.0.0/16", 256)
}
