data "sluice_pool" "found" {
  name       = "shop"
  project_id = data.sluice_project.found.id
}
