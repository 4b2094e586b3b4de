terraform {
  # Variables that validate each other. No provider: terraform_data is built in.
  required_version = ">= 1.9"
}
