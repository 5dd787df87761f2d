resource "sluice_network" "front" {
  name       = "front"
  project_id = sluice_project.shop.id

  # From 80 % on another shard is cut, up to four; one that is empty for an hour is given back.
  address_policy = {
    maximum_shards          = 4
    grow_at_utilization     = 0.8
    give_back_after_seconds = 3600
  }
}
