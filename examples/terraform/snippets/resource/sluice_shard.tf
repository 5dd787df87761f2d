resource "sluice_shard" "front" {
  name           = "front"
  pool_id        = sluice_pool.shop.id
  size_addresses = 256
}
