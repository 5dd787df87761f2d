data "sluice_project" "found" {
  name = "shop"
}
