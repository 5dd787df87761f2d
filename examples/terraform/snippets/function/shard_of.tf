output "shard_of_first" {
  value = provider::sluice::shard_of("10.20.0.7", { for shard in data.sluice_shards.free.items : shard.id => shard.cidr })
}
