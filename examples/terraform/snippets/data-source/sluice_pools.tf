data "sluice_pools" "of_shop" {
  project_id = data.sluice_project.found.id
}
