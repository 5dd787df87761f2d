resource "sluice_shard_attachment" "front" {
  network_id = sluice_network.front.id
  shard_id   = sluice_shard.front.id

  # When it is taken away, connections to the old addresses may go on for so long.
  migration = { drain_seconds = 60 }
}
