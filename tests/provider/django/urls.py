from django.contrib.auth.views import LoginView
from django.urls import include, path

urlpatterns = [
    path("login/", LoginView.as_view()),
    # Not at the root, as the toolkit's own tutorial has it: the issuer has a path then.
    path("o/", include("oauth2_provider.urls")),
]
