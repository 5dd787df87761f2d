data "sluice_shards" "free" {
  pool_id = data.sluice_pool.found.id
  status  = "available"
}
