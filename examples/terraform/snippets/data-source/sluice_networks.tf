data "sluice_networks" "of_shop" {
  project_id = data.sluice_project.found.id
}
