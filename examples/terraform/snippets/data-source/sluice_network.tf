data "sluice_network" "found" {
  name       = "front"
  project_id = data.sluice_project.found.id
}
