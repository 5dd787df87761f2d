data "sluice_shard" "found" {
  name       = "front"
  project_id = data.sluice_project.found.id
}
