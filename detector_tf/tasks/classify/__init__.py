"""Which class a slice belongs to, such as tumour or none."""
