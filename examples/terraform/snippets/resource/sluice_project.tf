resource "sluice_project" "shop" {
  name  = "shop"
  user  = "jane"
  quota = { machines = 1000 }
}
